"""The shell around `plan`: what watches, queues, reads, writes and reports; it decides nothing."""
