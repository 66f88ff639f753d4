"""Hours of load on a worker with all its roles: does anything grow that must not, does any alert stay away?

`python -m stream.bench.soak --minutes 60`, or `make soak`. What runs, each as a process of its own: a Kafka
broker, the worker, the sender (`load`), the pure core beside it (`oracle`); the receiver of the alerts and
the observer share this one (`run`).
"""
