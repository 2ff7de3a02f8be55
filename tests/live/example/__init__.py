"""How to test a network with dmvpn-lab: read these files in the order of their names.

A suite of your own needs no more than this:

    pip install dmvpn-lab pytest
    # in test_mine.py:  def test_it(dmvpn_lab): dmvpn_lab.verify()
    dmvpn-lab pytest --lab-topology phase-3
"""
