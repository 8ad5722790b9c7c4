"""The objects that a job is made of in a cluster: each built by one pure function, always byte for byte the same."""
