"""Serving durable consumers: who works on what, how far each is, and what is parked."""

from intent.consumers.counters import ConsumerCounters as ConsumerCounters
from intent.consumers.database import ConsumerDatabase as ConsumerDatabase
from intent.consumers.database import ConsumerRow as ConsumerRow
from intent.consumers.database import ParkedRow as ParkedRow
from intent.consumers.host import ConsumerHost as ConsumerHost
from intent.consumers.keys import EVERY_TENANT as EVERY_TENANT
from intent.consumers.keys import ConsumerKey as ConsumerKey
from intent.consumers.operating import ConsumerOperator as ConsumerOperator
from intent.consumers.session import Answer as Answer
from intent.consumers.session import Instance as Instance
from intent.consumers.session import Terms as Terms
from intent.consumers.settings import ConsumerSettings as ConsumerSettings
from intent.consumers.streams import Delivered as Delivered

__all__ = [
    "EVERY_TENANT",
    "Answer",
    "ConsumerCounters",
    "ConsumerDatabase",
    "ConsumerHost",
    "ConsumerKey",
    "ConsumerOperator",
    "ConsumerRow",
    "ConsumerSettings",
    "Delivered",
    "Instance",
    "ParkedRow",
    "Terms",
]
