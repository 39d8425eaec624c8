"""What a reader would stumble over in a figure: texts cut off, on top of each other or too small.

`problems(figure)` draws a figure and returns one line for each; none is good. Draw inside
`gan_lab.reports.plots.style.house_style()`, as studies are drawn.
"""

import itertools

from matplotlib.axis import Axis
from matplotlib.legend import Legend
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

SMALLEST = 11.0  # points of titles and labels of axes
SLACK = 1.5  # pixels by which boxes may touch: a box holds room for accents that no letter needs


def problems(figure):
    """Draw a figure and return its faults, one line each."""
    figure.canvas.draw()
    found = boxes(figure)
    lines = [f"leaves the canvas: {text!r}" for text, box, _ in found if leaves(figure, box)]
    for (text, box, owner), (other, its_box, its_owner) in itertools.combinations(found, 2):
        # A legend's texts lie in its frame.
        if owner is its_owner and owner is not None and "legend" in (text, other):
            continue
        if text == other and abs(box.get_points() - its_box.get_points()).max() < 1:
            continue  # twin axes write the ticks of their common axis twice
        if overlap(box, its_box):
            lines.append(f"overlap: {text!r} and {other!r}")
    for axes in shown_axes(figure):
        for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
            if text.get_text().strip() and text.get_fontsize() < SMALLEST:
                lines.append(f"{text.get_fontsize():g} points: {text.get_text()!r}")
        lines += [f"no ticks on {name} of {where(axes)}" for name in axes_without_ticks(axes)]
    return lines


def boxes(figure):
    """Return (text, box in pixels, its legend or None) of each text and legend frame that shows."""
    renderer = figure.canvas.get_renderer()
    hidden = {
        id(text)
        for axes in figure.axes
        if not (axes.get_visible() and axes.axison)
        for axis in (axes.xaxis, axes.yaxis)
        for text in axis.findobj(Text)
    }
    ticks = {id(text) for axis in figure.findobj(Axis) for text in tick_texts(axis)}
    drawn = {
        id(text)
        for axis in figure.findobj(Axis)
        for tick in axis._update_ticks()
        for text in (tick.label1, tick.label2)
    }
    legends = figure.findobj(Legend)
    owners = {id(text): legend for legend in legends for text in legend.findobj(Text)}
    found = []
    for text in dict.fromkeys(figure.findobj(Text)):
        shows = text.get_visible() and text.get_text().strip() and id(text) not in hidden
        if not shows or (id(text) in ticks and id(text) not in drawn) or not parents_show(text):
            continue
        # An annotation's own extent holds its arrow, too.
        kind = Text if isinstance(text, Annotation) else type(text)
        box = kind.get_window_extent(text, renderer)
        if box.width > 0 and box.height > 0:
            found.append((text.get_text(), box, owners.get(id(text))))
    for legend in legends:
        if legend.get_visible() and legend.get_texts():
            found.append(("legend", legend.get_window_extent(renderer), legend))
    return found


def tick_texts(axis):
    """Return the labels of all ticks, also of those that lie outside of the axis."""
    ticks = [*axis.majorTicks, *axis.minorTicks]
    return [text for tick in ticks for text in (tick.label1, tick.label2)]


def parents_show(text):
    axes = text.axes
    return axes is None or axes.get_visible()


def leaves(figure, box):
    """Tell whether a box lies partly outside of the figure."""
    (x0, y0), (x1, y1) = figure.bbox.min, figure.bbox.max
    return bool(
        box.x0 < x0 - SLACK or box.y0 < y0 - SLACK or box.x1 > x1 + SLACK or box.y1 > y1 + SLACK
    )


def overlap(one, other):
    """Tell whether two boxes share more than a touch."""
    both = Bbox.intersection(one, other)
    return both is not None and min(both.width, both.height) > SLACK


def shown_axes(figure):
    return [axes for axes in figure.axes if axes.get_visible() and axes.axison]


def axes_without_ticks(axes):
    """Return "x" or "y" where that axis has no tick with a label, on it or on one it shares."""
    bar = getattr(axes, "_colorbar", None)
    names = ("x", "y") if bar is None else (bar.long_axis.axis_name,)
    if axes.images and not axes.lines:
        return []  # a picture has pixels
    missing = []
    for name in names:
        siblings = getattr(axes, f"get_shared_{name}_axes")().get_siblings(axes)
        axes_of_name = [getattr(each, f"{name}axis") for each in siblings if each.get_visible()]
        labels = [
            text
            for axis in axes_of_name
            for tick in axis._update_ticks()
            for text in (tick.label1, tick.label2)
            if text.get_visible() and text.get_text().strip()
        ]
        if not labels or not getattr(axes, f"{name}axis")._update_ticks():
            missing.append(name)
    return missing


def where(axes):
    """Return words that tell which axes are meant."""
    return repr(axes.get_title() or axes.get_ylabel() or axes.get_xlabel() or "axes without title")
