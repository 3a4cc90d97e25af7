"""What both ends of a call share: metadata keys, and errors as statuses."""
