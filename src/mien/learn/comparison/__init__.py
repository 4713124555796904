"""Many runs beside each other and beside what their papers claim."""
