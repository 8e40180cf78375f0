"""What storage and gan share: descriptions of records, and durable files; no torch, no S3."""
