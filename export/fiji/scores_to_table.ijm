// Turns the open image of scores (one pixel per class, as DeepImageJ returns them) into a table with class names.
// Scores of several planes, as run_bundle.ijm joins them, become rows with the numbers of the slice and frame.
// Argument: the names, separated by commas; "names|file.csv" writes the table to a file as well and opens no window.
// Returns the name with the highest score, of several planes separated by commas.

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
planes = slices * frames;
if (values.length == names.length)
    planes = 1;
if (values.length != names.length * planes)
    exit("The image holds " + amount(values.length, "score") + ", but the text has " + amount(names.length, "name") + ": " + parts[0]);
text = "class,score\n";
if (planes > 1)
    text = "slice,frame," + text;
else
    slices = 1;
best = newArray(planes);
for (p = 0; p < planes; p++) {
    highest = 0;
    for (k = 0; k < names.length; k++) {
        score = values[p * names.length + k];
        if (planes > 1)
            text = text + (p % slices + 1) + "," + (floor(p / slices) + 1) + ",";
        text = text + names[k] + "," + score + "\n";
        if (score > values[p * names.length + highest])
            highest = k;
    }
    best[p] = names[highest];
}
if (parts.length > 1)
    File.saveString(text, parts[1]);
else {
    title = "Scores of " + getTitle();
    Table.create(title);
    for (k = 0; k < values.length; k++) {
        if (planes > 1) {
            p = floor(k / names.length);
            Table.set("slice", k, p % slices + 1);
            Table.set("frame", k, floor(p / slices) + 1);
        }
        Table.set("class", k, names[k % names.length]);
        Table.set("score", k, values[k]);
    }
    Table.update;
}
return String.join(best, ",");

// A number of things in words
function amount(number, noun) {
    if (number != 1)
        noun = noun + "s";
    return "" + number + " " + noun;
}
