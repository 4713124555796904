"""Do explanations point at what an answer rests on?"""
