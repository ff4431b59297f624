"""The smallest ND2, LIF and CZI files, written by hand: what no package here writes."""

import struct
import uuid

import numpy as np

MAGIC = 0x0ABECEDA


def write_nd2(path, array, *, positions=("",), z_um=None, side_um=0.1, na=1.4, channels=(("DAPI", 461.0),), sequence=None):
    """``array`` is (position, t, z, y, x, c) uint16; the loops are time, position, z."""
    counts = dict(zip("ptzyxc", array.shape, strict=True))
    chunks = {
        "ImageAttributesLV!": _variant(
            "SLxImageAttributes", uiWidth=counts["x"], uiWidthBytes=2 * counts["x"] * counts["c"], uiHeight=counts["y"], uiComp=counts["c"],
            uiBpcInMemory=16, uiBpcSignificant=16, uiSequenceCount=sequence or counts["p"] * counts["t"] * counts["z"],
        ),
        "ImageMetadataSeqLV|0!": _variant(
            "SLxPictureMetadata", bCalibrated=True, dCalibration=side_um, dObjectiveNA=na,
            sPicturePlanes={
                "uiCount": len(channels),
                "sPlaneNew": {
                    f"a{number}": {
                        "sDescription": name, "uiCompCount": 1, "uiColor": 0xFFFFFF,
                        "pFluorescentProbe": {
                            "m_EmissionSpectrum": {"uiCount": 1, "pPoint": {"Point0": {"dTValue": 1.0, "dWavelength": wave, "eType": 1}}}
                        },
                    }
                    for number, (name, wave) in enumerate(channels)
                },
            },
        ),
        "ImageMetadataLV!": _variant("SLxExperiment", **_loops(counts, positions, z_um or 1.0)),
    }  # fmt: skip
    frames = array.transpose(1, 0, 2, 3, 4, 5).reshape(-1, *array.shape[3:]).astype("<u2")
    body = _chunk(b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver3.0".ljust(64, b"\0"), length=32)
    offsets = {}
    for name, content in [*chunks.items(), *((f"ImageDataSeq|{n}!", b"\0" * 8 + frame.tobytes()) for n, frame in enumerate(frames))]:
        offsets[name] = (len(body), len(content))
        body += _chunk(name.encode(), content, length=4072)  # pixels are looked for 4096 bytes after a chunk begins
    start = len(body)
    listed = b"".join(name.encode() + struct.pack("<QQ", *at) for name, at in offsets.items())
    body += _chunk(b"ND2 FILEMAP SIGNATURE NAME 0001!", listed + b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", start), length=32)
    path.write_bytes(body + b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", start))


def _loops(counts, positions, z_um):
    """The experiment: time around positions around z, those of one step left out."""
    z = {"eType": 4, "uLoopPars": {"uiCount": counts["z"], "dZStep": z_um}}
    points = {f"a{n}": {"dPosX": float(n), "dPosY": 0.0, "dPosName": name} for n, name in enumerate(positions)}
    p = {"eType": 2, "uLoopPars": {"uiCount": counts["p"], "Points": points}}
    t = {"eType": 1, "uLoopPars": {"uiCount": counts["t"], "dStart": 0.0, "dPeriod": 1.0, "dDuration": 1.0}}
    nested = {}
    for loop, count in ((z, counts["z"]), (p, counts["p"]), (t, counts["t"])):
        if count > 1:
            nested = {**loop, **({"ppNextLevelEx": {"a0": nested}} if nested else {})}
    return nested


def _chunk(name, content, *, length):
    return struct.pack("<IIQ", MAGIC, length, len(content)) + name.ljust(length, b"\0") + content


def _variant(tag, **values):
    """The XML in which Nikon's older files keep their numbers."""

    def element(name, value):
        if isinstance(value, dict):
            return f'<{name} runtype="CLxVariant">{"".join(element(*entry) for entry in value.items())}</{name}>'
        kind = {bool: "bool", int: "lx_int32", float: "double", str: "CLxStringW"}[type(value)]
        return f'<{name} runtype="{kind}" value="{value}"/>'

    return f"<variant><{tag}>{''.join(element(*entry) for entry in values.items())}</{tag}></variant>".encode()


def write_lif(path, series, *, side_um=0.1, z_um=0.3, na=1.2, waves=(461.0, 520.0), channels=("Blue", "Green")):
    """``series`` are names and arrays (c, z, y, x) uint16."""
    elements, blocks = [], b""
    for number, (name, array) in enumerate(series.items()):
        c, z, y, x = array.shape
        each = [
            f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="16" NameOfMeasuredQuantity="" Min="0" Max="65535" Unit="" '
            f'LUTName="{channels[k]}" IsLUTInverted="0" BytesInc="{2 * k * z * y * x}" BitInc="0"/>'
            for k in range(c)
        ]
        sizes = ((1, x, 2, side_um), (2, y, 2 * x, side_um), (3, z, 2 * x * y, z_um))
        axes = [
            f'<DimensionDescription DimID="{axis}" NumberOfElements="{length}" Origin="0" Length="{(length - 1) * side * 1e-6}" Unit="m" '
            f'BitInc="0" BytesInc="{step}"/>'
            for axis, length, step, side in sizes
        ]
        infos = "".join(f'<WideFieldChannelInfo EmissionWavelength="{wave}"/>' for wave in waves[:c])
        elements.append(
            f'<Element Name="{name}"><Data><Image><ImageDescription><Channels>{"".join(each)}</Channels><Dimensions>{"".join(axes)}'
            f'</Dimensions></ImageDescription><Attachment Name="HardwareSetting">'
            f'<ATLCameraSettingDefinition NumericalAperture="{na}">{infos}'
            f'</ATLCameraSettingDefinition></Attachment></Image></Data><Memory Size="{array.nbytes}" MemoryBlockID="MemBlock_{number}"/>'
            f"</Element>"
        )
        key = f"MemBlock_{number}"
        head = struct.pack("<IIBQBI", 0x70, 0, 0x2A, array.nbytes, 0x2A, len(key)) + key.encode("utf-16-le")
        blocks += head + array.astype("<u2").tobytes()
    inside = f'<Element Name="file"><Children>{"".join(elements)}</Children></Element>'
    xml = f'<LMSDataContainerHeader Version="2">{inside}</LMSDataContainerHeader>'
    path.write_bytes(struct.pack("<IIBI", 0x70, 2 * len(xml) + 5, 0x2A, len(xml)) + xml.encode("utf-16-le") + blocks)


def write_czi(path, scenes, *, side_um=0.1, z_um=0.3, na=1.2, channels=(("DAPI", 461.0), ("GFP", 520.0)), frame_s=None):
    """``scenes`` are names and arrays (c, z, y, x) or (t, c, z, y, x) uint16, each plane a sub-block without compression."""
    file_id = uuid.UUID(int=1).bytes_le
    body, entries = bytearray(_segment(b"ZISRAWFILE", b"\0" * 512)), []
    for number, array in enumerate(scenes.values()):
        for *t, c, z in np.ndindex(*array.shape[:-2]):
            plane = array[*t, c, z]
            dimensions = {"X": (1000 * number, plane.shape[1]), "Y": (0, plane.shape[0]), "C": (c, 1), "Z": (z, 1), "S": (number, 1)}
            dimensions |= {"T": (t[0], 1)} if t else {}
            entry = struct.pack("<2siqiiBB4si", b"DV", 1, len(body), 0, 0, 0, 0, b"\0" * 4, len(dimensions))
            for axis, (start, size) in dimensions.items():
                entry += struct.pack("<4siifi", axis.encode(), start, size, float(start), size)
            entries.append(entry)
            head = struct.pack("<iiq", 0, 0, plane.nbytes) + entry
            body += _segment(b"ZISRAWSUBBLOCK", head.ljust(256, b"\0") + plane.astype("<u2").tobytes())
    directory = len(body)
    body += _segment(b"ZISRAWDIRECTORY", struct.pack("<i", len(entries)).ljust(128, b"\0") + b"".join(entries))
    metadata = len(body)
    xml = _czi_xml(scenes, side_um, z_um, na, channels, frame_s).encode()
    body += _segment(b"ZISRAWMETADATA", struct.pack("<ii", len(xml), 0).ljust(256, b"\0") + xml)
    header = struct.pack("<iiii16s16siqqiq", 1, 0, 0, 0, file_id, file_id, 0, directory, metadata, 0, 0)
    body[32 : 32 + len(header)] = header
    path.write_bytes(bytes(body))


def _segment(name, content):
    content = content.ljust(-(-len(content) // 32) * 32, b"\0")
    return struct.pack("<16sqq", name, len(content), len(content)) + content


def _czi_xml(scenes, side_um, z_um, na, channels, frame_s):
    named = "".join(f'<Scene Index="{number}" Name="{name}"/>' for number, name in enumerate(scenes))
    lights = "".join(
        f'<Channel Id="Channel:{number}" Name="{name}"><EmissionWavelength>{wave}</EmissionWavelength></Channel>'
        for number, (name, wave) in enumerate(channels)
    )
    sides = "".join(
        f'<Distance Id="{axis}"><Value>{side * 1e-6}</Value></Distance>' for axis, side in (("X", side_um), ("Y", side_um), ("Z", z_um))
    )
    times = f"<T><Positions><Interval><Increment>{frame_s}</Increment></Interval></Positions></T>" if frame_s else ""
    return (
        f"<ImageDocument><Metadata><Information><Image><Dimensions><Channels>{lights}</Channels><S><Scenes>{named}</Scenes></S>{times}"
        f"</Dimensions></Image>"
        f'<Instrument><Objectives><Objective Id="Objective:1"><LensNA>{na}</LensNA></Objective></Objectives></Instrument>'
        f"</Information><Scaling><Items>{sides}</Items></Scaling></Metadata></ImageDocument>"
    )
