"""Any network becomes a bundle: measured, wrapped, written in every format that holds, and packed.

In: a module, an example image, and facts about people (``about``). Out: one zip, and what was measured on the way.

May import: processes, nets, images, java, formats, bundle
"""

from zooready.exporting.exported import Exported, export

__all__ = ["Exported", "export"]
