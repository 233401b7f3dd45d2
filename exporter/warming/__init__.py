"""Cache warming: keys that are written before somebody misses them."""
