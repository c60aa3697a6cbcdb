"""SQLAlchemy with psycopg; see run.  Warnings are errors, but one: SQLAlchemy doesn't know the type
of a column of ours, gives it none, and hands its text through."""

import os
import warnings

import sqlalchemy
from sqlalchemy import exc, select, text

BI_VIEWS = {"recommender_status", "training_run", "training_epoch", "metric"}


def check(what, condition):
	assert condition, what
	print("ok      sqlalchemy:", what)


def reflect(engine, schema):
	metadata = sqlalchemy.MetaData()
	metadata.reflect(engine, schema=schema, views=True)
	return metadata.tables


def main():
	engine = sqlalchemy.create_engine(sqlalchemy.URL.create("postgresql+psycopg",
		os.environ["PGUSER"], os.environ["PGPASSWORD"], os.environ["PGHOST"],
		int(os.environ["PGPORT"]), os.environ["PGDATABASE"]))
	inspector = sqlalchemy.inspect(engine)

	names = set(inspector.get_view_names("tfrs"))
	check("the views of recommenders are listed", BI_VIEWS <= names)
	columns = [c for name in BI_VIEWS for c in inspector.get_columns(name, "tfrs")]
	check("their columns have types that it knows, and comments",
		all(c["type"].python_type and c["comment"] for c in columns))
	check("so have those of the materialized table",
		all(c["type"].python_type and c["comment"] for c in inspector.get_columns("movie_recommendations")))
	check("its primary key is known",
		len(inspector.get_pk_constraint("movie_recommendations")["constrained_columns"]) == 2)

	with warnings.catch_warnings():
		warnings.filterwarnings("ignore", "Did not recognize type", exc.SAWarning)
		tables = {**reflect(engine, "tfrs"), **reflect(engine, None)}
	note = tables["note"]

	with engine.connect() as connection:
		for name in sorted(names):
			rows = connection.execute(select(tables["tfrs." + name])).all()
			check(f"tfrs.{name} is read", rows or name not in BI_VIEWS)
		check("the materialized table is read",
			len(connection.execute(select(tables["movie_recommendations"])).all()) == 300)
		rows = connection.execute(text("SELECT * FROM tfrs.recommend('movies', :q, k => 3)"), {"q": 7}).all()
		check("recommendations for a parameter", [row.rank for row in rows] == [1, 2, 3])

		connection.execute(note.insert(), {"id": 2, "vector": "[0.5,0,1e-3]"})
		connection.execute(text("INSERT INTO note VALUES (3, :v)"), {"v": [0.25, 4.0, -1.0]})
		found = connection.execute(select(note.c.vector).order_by(note.c.id)).scalars().all()
		check("embeddings are sent and fetched", found == ["[1,2.5,-3]", "[0.5,0,0.001]", "[0.25,4,-1]"])
	engine.dispose()


main()
