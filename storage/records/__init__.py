"""What records are, whoever handles them: pure, without torch, Prefect or S3."""
