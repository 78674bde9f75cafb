"""Alyx, through the IBL's client ONE: tasks and sessions in, datasets and statuses out."""
