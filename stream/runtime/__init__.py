"""Adapters round the pure core: the Kafka runtime, the embedded one, and replay."""
