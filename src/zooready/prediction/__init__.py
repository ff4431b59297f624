"""Bundle and picture become a picture.

May import: pictures, formats, bundle
"""
