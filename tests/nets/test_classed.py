"""The class of an object is the one that most of its pixels have."""

import numpy as np
import torch

from zooready.nets.classed import ClassedInstances
from zooready.nets.labelling import Instances


def probabilities(objects, size=40, classes=3):
    """(1, 2 + classes, size, size): squares of (top, left, side, class of its left half, class of its right half), from 0."""
    values = torch.zeros(1, 2 + classes, size, size)
    for top, left, side, first, second in objects:
        middle = side // 2 + 1
        values[0, 0, top : top + side, left : left + side] = 1
        y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        values[0, 1, top : top + side, left : left + side] = 1 - torch.maximum((y - side // 2).abs(), (x - side // 2).abs()) / side * 2
        values[0, 2 + first, top : top + side, left : left + middle] = 0.6
        values[0, 2 + second, top : top + side, left + middle : left + side] = 0.9
    return values


def test_labels_are_those_without_classes_and_each_object_has_one_class():
    given = probabilities([(3, 3, 9, 0, 0), (20, 3, 9, 2, 1), (3, 22, 11, 1, 1)])
    same, labels, classes = ClassedInstances(core=0.4)(given)
    assert torch.equal(same, given)
    assert torch.equal(labels, Instances(core=0.4)(given)[1])
    found = {(int(labels[0, 0, y, x]), int(classes[0, 0, y, x])) for y, x in ((7, 7), (24, 4), (24, 10), (8, 27))}
    assert {number for _, number in found} == {1, 2, 3}  # the second object has more pixels of class 3, though class 2 is surer
    assert len(found) == 3
    assert torch.equal(classes > 0, labels > 0)


def test_an_object_without_a_core_is_one_beside_those_that_have_one():
    given = probabilities([(3, 3, 9, 0, 0), (20, 3, 9, 2, 2)])
    given[0, 1, 20:29, 3:12] = 0.1
    _, labels, classes = ClassedInstances(core=0.4)(given)
    assert Instances(core=0.4)(given)[1].max() == 1
    assert sorted(np.unique(labels).tolist()) == [0, 1, 2]
    assert (int(labels[0, 0, 24, 7]), int(classes[0, 0, 24, 7])) == (2, 3)
    assert (int(labels[0, 0, 7, 7]), int(classes[0, 0, 7, 7])) == (1, 1)


def test_an_image_without_objects_has_no_classes():
    _, labels, classes = ClassedInstances()(torch.zeros(2, 4, 5, 7))
    assert labels.shape == classes.shape == (2, 1, 5, 7)
    assert not classes.any()


def test_images_of_a_batch_are_counted_by_themselves():
    first, second = probabilities([(3, 3, 9, 0, 0)]), probabilities([(3, 3, 9, 1, 1)])
    _, _, classes = ClassedInstances(core=0.4)(torch.cat([first, second]))
    assert [int(plane[0, 7, 7]) for plane in classes] == [1, 2]
    np.testing.assert_array_equal(np.unique(classes[1]), [0, 2])
