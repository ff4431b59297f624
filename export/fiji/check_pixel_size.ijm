// Compares the pixel size of the open image with the range that a network was trained for.
// Argument: "smallest|largest", in micrometres; without it the macro asks. Returns a warning, or "" if the size is in the range.

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
message = "";
if (factor == 0)
    message = "This image has no pixel size in micrometres (unit: " + unit + "). The network was trained for pixels of " + low + " to " + high
        + " um: set them in Image > Properties.";
else if (abs(width - height) > 0.01 * maxOf(width, height))
    message = "The pixels of this image are not square (" + width * factor + " x " + height * factor + " um): use Image > Scale.";
else if (width * factor < low * 0.99 || width * factor > high * 1.01)
    message = "The pixels of this image are " + d2s(width * factor, 4) + " um, but the network was trained for " + low + " to " + high
        + " um: results may be poor. Use Image > Scale, or zooready predict --pixel-size auto.";
if (argument == "") {
    if (message == "")
        message = "The pixel size of this image is within the range.";
    showMessage("Pixel size", message);
}
return message;

function micrometres(unit) {
    u = toLowerCase(unit);
    if (u == fromCharCode(181) + "m" || u == fromCharCode(956) + "m" || u == "um" || startsWith(u, "micron") || startsWith(u, "micromet"))
        return 1;
    if (u == "nm" || startsWith(u, "nanomet"))
        return 0.001;
    if (u == "mm" || startsWith(u, "millimet"))
        return 1000;
    return 0; // unit "pixel"; inches and centimetres are for printing
}
