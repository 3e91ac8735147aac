"""Matrix factorisation and neighbourhoods, fitted by the library `implicit`.

Only the items' side is kept. Every history, a known user's too, gets its factor by folding in:
the items are frozen and the user's factor is solved under the loss that the model was trained on.
"""
