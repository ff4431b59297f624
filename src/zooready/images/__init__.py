"""Images as files, drawn, and compared: with a truth, object by object, or with what was expected.

In: files and arrays. Out: an Image with named axes and calibration, images for people, and numbers.

May import: nothing
"""
