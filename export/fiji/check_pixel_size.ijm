// Compares the pixel size of the open image with the range that a network was made for.
// Argument: "smallest|largest", in micrometres; without one it asks. Returns a sentence, or nothing if all is well.

argument = getArgument();
if (argument == "") {
    low = getNumber("Smallest pixel size of the network, in micrometres", 0.1);
    high = getNumber("Largest pixel size of the network, in micrometres", 1);
} else {
    range = split(argument, "|");
    low = parseFloat(range[0]);
    high = parseFloat(range[1]);
}
getPixelSize(unit, width, height);
factor = micrometres(unit);
told = "";
if (factor == 0)
    told = "This image does not say how large its pixels are (unit: " + unit + "). The network was made for pixels of " + low + " to " + high
        + " um: set them in Image > Properties.";
else if (abs(width - height) > 0.01 * maxOf(width, height))
    told = "The pixels of this image are not square (" + width * factor + " x " + height * factor + " um): use Image > Scale.";
else if (width * factor < low * 0.99 || width * factor > high * 1.01)
    told = "The pixels of this image are " + d2s(width * factor, 4) + " um, and the network was made for " + low + " to " + high
        + " um: results may be poor. Use Image > Scale, or zooready predict --pixel-size auto.";
if (argument == "") {
    if (told == "")
        told = "The pixel size of this image is within the range.";
    showMessage("Pixel size", told);
}
return told;

function micrometres(unit) {
    u = toLowerCase(unit);
    if (u == fromCharCode(181) + "m" || u == fromCharCode(956) + "m" || u == "um" || startsWith(u, "micron") || startsWith(u, "micromet"))
        return 1;
    if (u == "nm" || startsWith(u, "nanomet"))
        return 0.001;
    if (u == "mm" || startsWith(u, "millimet"))
        return 1000;
    return 0; // pixels; inches and centimetres are for printers
}
