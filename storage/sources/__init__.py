"""Where real records come from: files of every modality, or examples, local or on S3."""
