"""Why: the reasons for any packet, the topics, the report on a whole capture. No sentence stands here, only keys."""
