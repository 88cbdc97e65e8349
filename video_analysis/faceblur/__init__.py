"""Face blur: what no output may show, from the keypoints of heads."""
