"""Tables of how Chinese is misspelt on purpose.

Made by ``build.py``: ``readings.txt`` and ``words.txt``. Written by hand: ``shapes.txt``, ``splits.txt``,
``pictures.txt``, ``faces.txt``, ``emoticons.txt``, ``latin.txt``. `stream.spelling` reads them.
"""
