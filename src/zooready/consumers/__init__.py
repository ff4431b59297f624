"""One file per program that opens bundles: picture in, output arrays out, no tolerance applied.

May import: records, pictures, formats, bundle, java
"""
