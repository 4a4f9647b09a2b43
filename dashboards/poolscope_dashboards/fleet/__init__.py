"""The dashboard of a fleet of hundreds of services: errors first."""
