"""Resource requests, under the path that they have in Ray Tune."""

from localtune.resources import PlacementGroupFactory as PlacementGroupFactory
from localtune.resources import resource_dict_to_pg_factory as resource_dict_to_pg_factory
