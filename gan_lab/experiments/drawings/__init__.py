"""The pictures of the studies: functions of saved arrays, so that they can be drawn again."""
