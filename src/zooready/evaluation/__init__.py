"""Shipped networks beside classical methods, against truth: the numbers of the model cards.

In: weights. Out: plain data for ``weights/<family>.json``, which cards are written from. One file a family.

May import: families, nets, simulate, training, prediction, matching, similarity, wrapping, features
"""
