"""Everything between weights and a zip: description, arrays, cover, card, archive; and the safe reading of it.

May import: texts, processes, images, formats
"""
