"""The generated code of contracts, made for a temporary context."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

PROTO = Path(__file__).parents[2] / "proto"

CONTRACT = """
syntax = "proto3";
package probe.v1;
import "google/protobuf/any.proto";
import "google/protobuf/api.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/source_context.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/type.proto";
import "google/protobuf/wrappers.proto";
message Noted {
  google.protobuf.Any any = 1;
  google.protobuf.Api api = 2;
  google.protobuf.Duration duration = 3;
  google.protobuf.Empty empty = 4;
  google.protobuf.FieldMask mask = 5;
  google.protobuf.SourceContext source = 6;
  google.protobuf.Struct struct = 7;
  google.protobuf.Value value = 8;
  google.protobuf.Timestamp at = 9;
  google.protobuf.Type type = 10;
  google.protobuf.StringValue text = 11;
  repeated google.protobuf.Int64Value numbers = 12;
}
"""
FIELDS = {"struct": {"a": [1, None]}, "text": "", "numbers": ["7"], "value": "v", "empty": {}}
READ = """
import json, sys
from intent.cli.messages import message_of
from intent.cli.plain import to_dict
from intent_contracts.probe.v1 import Noted
print(json.dumps(to_dict(message_of(Noted, sys.argv[1]))))
"""


def test_contracts_may_use_every_well_known_type(tmp_path: Path) -> None:
    copy = shutil.copytree(PROTO, tmp_path / "proto", ignore=shutil.ignore_patterns("src", "__pycache__"))
    (copy / "probe" / "v1").mkdir(parents=True)
    (copy / "probe" / "v1" / "probe.proto").write_text(CONTRACT)
    for arguments in ((), ("--image", str(tmp_path / "image"))):
        generated = subprocess.run(
            [sys.executable, str(copy / "generate.py"), *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert generated.returncode == 0, generated.stderr
    read = subprocess.run(
        [sys.executable, "-c", READ, json.dumps(FIELDS)],
        env={"PYTHONPATH": str(copy / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert read.returncode == 0, read.stderr
    assert json.loads(read.stdout) == FIELDS
