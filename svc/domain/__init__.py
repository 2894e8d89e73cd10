"""The nouns, the failures and the port; imports none of the other layers."""
