// Compares the pixel size of the open image with the range that a network was trained for.
// Argument: "smallest|largest" or "smallest|largest|distance of planes", in micrometres, 0 for what is not known; without it the macro
// asks. Returns a warning, or "" if the size is in the range. The argument "unit" returns how many micrometres the image's unit has.

argument = getArgument();
getVoxelSize(width, height, depth, unit);
factor = micrometres(unit);
if (argument == "unit")
    return "" + factor;
distance = 0;
if (argument == "") {
    low = getNumber("Smallest pixel size of the network, in micrometres", 0.1);
    high = getNumber("Largest pixel size of the network, in micrometres", 1);
} else {
    range = split(argument, "|");
    low = parseFloat(range[0]);
    high = parseFloat(range[1]);
    if (range.length > 2)
        distance = parseFloat(range[2]);
}
message = "";
if (high == 0)
    message = "";
else if (factor == 0)
    message = "This image has no pixel size in micrometres (unit: " + unit + "). The network was trained for pixels of " + low + " to " + high
        + " um: set them in Image > Properties.";
else if (abs(width - height) > 0.01 * maxOf(width, height))
    message = "The pixels of this image are not square (" + width * factor + " x " + height * factor + " um): use Image > Scale.";
else if (width * factor < low * 0.99 || width * factor > high * 1.01)
    message = "The pixels of this image are " + d2s(width * factor, 4) + " um, but the network was trained for " + low + " to " + high
        + " um: results may be poor. Compare them with those after Image > Scale.";
getDimensions(x, y, channels, slices, frames);
if (slices > 1 && distance > 0) {
    Stack.getUnits(unitX, unitY, unitZ, unitT, unitValue); // that along z may be another
    factor = micrometres(unitZ);
    if (factor == 0)
        message = message + " This image has no distance of planes in micrometres. The network was trained for planes " + distance
            + " um apart: set it in Image > Properties (voxel depth).";
    else if (abs(depth * factor - distance) > 0.05 * distance)
        message = message + " The planes of this image are " + d2s(depth * factor, 4) + " um apart, but the network was trained for "
            + distance + " um: results may be poor. Use Image > Scale, or acquire stacks with that distance.";
    message = String.trim(message);
}
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
