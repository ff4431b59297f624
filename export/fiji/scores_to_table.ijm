// Turns the open image of scores (one pixel per class, as DeepImageJ returns them) into a table with class names.
// Argument: the names, separated by commas; "names|file.csv" writes the table to a file as well and opens no window.
// Returns the name with the highest score.

argument = getArgument();
if (nImages == 0)
    exit("No image is open: open the image of scores first.");
if (argument == "")
    argument = getString("Names of the classes, separated by commas", "");
parts = split(argument, "|");
names = split(parts[0], ",");
getDimensions(width, height, channels, slices, frames);
values = newArray(width * height * nSlices);
k = 0;
for (s = 1; s <= nSlices; s++) {
    setSlice(s);
    for (y = 0; y < height; y++)
        for (x = 0; x < width; x++)
            values[k++] = getPixel(x, y);
}
if (values.length != names.length)
    exit("The image holds " + values.length + " scores, but there are " + names.length + " names: " + parts[0]);
best = 0;
text = "class,score\n";
for (k = 0; k < values.length; k++) {
    text = text + names[k] + "," + values[k] + "\n";
    if (values[k] > values[best])
        best = k;
}
if (parts.length > 1)
    File.saveString(text, parts[1]);
else {
    title = "Scores of " + getTitle();
    Table.create(title);
    for (k = 0; k < values.length; k++) {
        Table.set("class", k, names[k]);
        Table.set("score", k, values[k]);
    }
    Table.update;
}
return names[best];
