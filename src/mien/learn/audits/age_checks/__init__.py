"""How many pass an age check who should not, and how many must show a proof?"""
