"""Stands in for DeepImageJ in an installed macro: a network of arithmetic, computed by ImageJ, with DeepImageJ's own faults.

Like DeepImageJ it is handed a file, writes a file for each output without calibration, gets wrong what has several axes (the network
sees the first planes only, as many as it has slices), and writes no scores of stacks.
"""

CALL = '        run("DeepImageJ Run",'
PLANE = """
function standIn(path, out, names) {
    open(path);
    piece = getImageID();
    stem = out + File.getNameWithoutExtension(path) + "_";
    getDimensions(w, h, c, z, t);
    planes = c * z * t;
    for (k = 0; k < OUTPUTS.length; k++) {
        if (indexOf(names, OUTPUTS[k]) >= 0 && !(OUTPUTS[k] == "scores" && planes > 1)) {
            written = planes;
            if (z > 1 && t > 1)
                written = z;
            if (OUTPUTS[k] == "maps") written = 2;
            if (OUTPUTS[k] == "scores") written = 3;
            if (OUTPUTS[k] == "stack") written = 3;
            if (OUTPUTS[k] == "scores") newImage("made", "32-bit black", 1, 1, 3, 1, 1);
            else if (OUTPUTS[k] == "maps") newImage("made", "32-bit black", w, h, 2, 1, 1);
            else newImage("made", "32-bit black", w, h, 1, written, 1);
            made = getImageID();
            for (p = 0; p < written; p++) {
                selectImage(piece);
                if (planes > 1 && OUTPUTS[k] != "stack")
                    setSlice(p + 1);
                getStatistics(area, mean, min, max);
                if (OUTPUTS[k] == "scores") {
                    all = newArray(max, mean, min);
                    values = newArray(all[p], 0);
                } else {
                    values = newArray(w * h);
                    for (i = 0; i < w * h; i++) {
                        v = getPixel(i % w, floor(i / w));
                        if (OUTPUTS[k] == "labels") v = floor(v / 100);
                        else if (OUTPUTS[k] == "maps" && p == 0) v = v / 400;
                        else if (OUTPUTS[k] == "maps") v = 1 - v / 400;
                        else v = v * (p + 1);
                        values[i] = v;
                    }
                }
                selectImage(made);
                if (written > 1)
                    setSlice(p + 1);
                getDimensions(mw, mh, mc, mz, mt);
                for (i = 0; i < mw * mh; i++)
                    setPixel(i % mw, floor(i / mw), values[i]);
            }
            saveAs("Tiff", stem + OUTPUTS[k] + ".tif");
            close();
        }
    }
    selectImage(piece);
    close();
}
"""


def put_into(macro, names):
    """Change the macro such that it calls the stand-in, which writes the outputs of these names only."""
    lines = macro.read_text(encoding="utf-8").split("\n")
    (place,) = [number for number, line in enumerate(lines) if line.startswith(CALL)]
    lines[place] = f'        standIn(path, pieces, "{" ".join(names)}");'
    macro.write_text("\n".join(lines) + PLANE, encoding="utf-8")
