"""Does a model err more for some groups than for others?"""
