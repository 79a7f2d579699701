"""The demo's integration where SugarCRM joins the others."""
