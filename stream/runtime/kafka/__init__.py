"""The Kafka runtime: Faust workers that read record batches, scaled by partitions."""
