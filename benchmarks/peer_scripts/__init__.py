"""What users would write instead of this product, to be measured beside it: a pipeline of dlt, and a bare script.

They are programs of their own that know nothing of the product. Both read and write by ``services``, so that they differ only in
what moves the records.
"""
