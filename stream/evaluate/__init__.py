"""Measures detection on labelled data: what ``yanshao evaluate`` runs.

``datasets`` reads the labelled files and makes events of them, ``trial`` sends these through the real
engine, on the path of ``replay``, so that what is measured is what ships; ``report`` gathers the figures
with their uncertainty, ``chart`` draws them.
"""
