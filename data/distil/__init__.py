"""How data/tiny_bert is made from a larger encoder; `data/prepare.py` is the command."""
