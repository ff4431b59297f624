"""Everything between weights and a zip: description, arrays, cover, card, archive; and the safe reading of it.

May import: processes, images, formats
"""
