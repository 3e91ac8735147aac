"""How a store's tables came to be, step by step; `recsys.store.upgrading` runs what is missing."""
