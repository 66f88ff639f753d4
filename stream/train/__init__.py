"""Trains the learned scores: what ``yanshao train`` runs (extra ``yanshao[train]``).

``corpora`` reads the labelled files, ``heads`` fits linear heads on the buckets of ``core.features``,
``recipe`` says which head learns what from which corpus, ``store`` writes the files that ship. Nothing
of this is imported at run time. The same files, seed and library versions give the same bytes.
"""
