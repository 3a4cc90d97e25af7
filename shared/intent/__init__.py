"""Intent: event-sourced, multi-tenant back ends cut into bounded contexts."""
