// JDBC; see run.

import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Types;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.postgresql.util.PGobject;

class Jdbc {
	static final Set<String> BI_VIEWS =
		Set.of("recommender_status", "training_run", "training_epoch", "metric");
	/** text, bigint, double precision, boolean and timestamptz, as the driver sees them */
	static final Set<Integer> PLAIN_TYPES =
		Set.of(Types.VARCHAR, Types.BIGINT, Types.DOUBLE, Types.BIT, Types.TIMESTAMP);

	static void check(String what, boolean condition) {
		if (!condition)
			throw new AssertionError(what);
		System.out.println("ok      jdbc: " + what);
	}

	static List<String> views(DatabaseMetaData metadata) throws SQLException {
		List<String> names = new ArrayList<>();

		try (ResultSet rows = metadata.getTables(null, "tfrs", "%", new String[] {"VIEW"})) {
			while (rows.next())
				names.add(rows.getString("TABLE_NAME"));
		}
		return names;
	}

	/** Whether every column of a table has a plain type and a comment. */
	static boolean isPlain(DatabaseMetaData metadata, String table) throws SQLException {
		boolean plain = true;

		try (ResultSet columns = metadata.getColumns(null, "tfrs", table, "%")) {
			while (columns.next())
				plain &= PLAIN_TYPES.contains(columns.getInt("DATA_TYPE"))
					&& columns.getString("REMARKS") != null;
		}
		return plain;
	}

	/** Reads a query as BI tools do: every value of every row; returns the number of rows. */
	static int read(PreparedStatement statement) throws SQLException {
		int n = 0;

		try (ResultSet rows = statement.executeQuery()) {
			for (; rows.next(); n++)
				for (int c = 1; c <= rows.getMetaData().getColumnCount(); c++) {
					rows.getObject(c);
					rows.getString(c);
				}
		}
		return n;
	}

	static int read(Connection connection, String query) throws SQLException {
		try (PreparedStatement statement = connection.prepareStatement(query)) {
			return read(statement);
		}
	}

	static void insert(Connection connection, int id, String cast, Object vector) throws SQLException {
		try (PreparedStatement statement =
				connection.prepareStatement("INSERT INTO note VALUES (?, ?" + cast + ")")) {
			statement.setInt(1, id);
			statement.setObject(2, vector);
			statement.executeUpdate();
		}
	}

	static void embeddings(Connection connection) throws SQLException {
		StringBuilder found = new StringBuilder();
		PGobject vector = new PGobject();

		vector.setType("tfrs.embedding");
		vector.setValue("[0.5,0,1e-3]");
		insert(connection, 2, "", vector);
		insert(connection, 3, "", connection.createArrayOf("float4", new Float[] {0.25f, 4f, -1f}));
		insert(connection, 4, "::text::tfrs.embedding", "[1,1,1]");
		try (ResultSet rows = connection.createStatement()
				.executeQuery("SELECT vector FROM note ORDER BY id")) {
			while (rows.next())
				found.append(rows.getObject(1)).append(' ');
		}
		check("embeddings are sent and fetched",
			found.toString().equals("[1,2.5,-3] [0.5,0,0.001] [0.25,4,-1] [1,1,1] "));
	}

	public static void main(String[] arguments) throws SQLException {
		String url = String.format("jdbc:postgresql://%s:%s/%s", System.getenv("PGHOST"),
			System.getenv("PGPORT"), System.getenv("PGDATABASE"));

		try (Connection connection =
				DriverManager.getConnection(url, System.getenv("PGUSER"), System.getenv("PGPASSWORD"))) {
			DatabaseMetaData metadata = connection.getMetaData();
			List<String> views = views(metadata);

			connection.setAutoCommit(false);
			check("the views of recommenders are listed", views.containsAll(BI_VIEWS));
			for (String view : BI_VIEWS)
				check("tfrs." + view + " has plain columns with comments", isPlain(metadata, view));
			for (String view : views) {
				int rows = read(connection, "SELECT * FROM tfrs.\"" + view + "\"");

				check("tfrs." + view + " is read", rows > 0 || !BI_VIEWS.contains(view));
			}
			check("the materialized table is read",
				read(connection, "SELECT * FROM movie_recommendations") == 300);
			try (PreparedStatement best =
					connection.prepareStatement("SELECT * FROM tfrs.recommend('movies', ?, k => 3)")) {
				best.setInt(1, 7);
				check("recommendations for a parameter", read(best) == 3);
			}
			embeddings(connection);
		}
	}
}
