import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import io.micrometer.core.instrument.Clock;
import io.micrometer.registry.otlp.OtlpConfig;
import io.micrometer.registry.otlp.OtlpMeterRegistry;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;

/**
 * A HikariCP pool that fills up: HOLDERS connections are held, WAITERS callers wait for another.
 *
 * <p>Usage: java Sender.java HOST PORT HOLDERS WAITERS [MICROMETER_URL]; it runs until SIGTERM. With
 * a URL, Micrometer pushes as Spring Boot does; without, the Java agent does.
 */
public class Sender {
  public static void main(String[] arguments) throws Exception {
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl("jdbc:postgresql://" + arguments[0] + ":" + arguments[1] + "/postgres");
    config.setUsername("postgres");
    config.setPoolName("orders");
    config.setMaximumPoolSize(5);
    config.setMinimumIdle(2);
    config.setConnectionTimeout(500);
    if (arguments.length > 4) {
      config.setMetricRegistry(new OtlpMeterRegistry(pushingTo(arguments[4]), Clock.SYSTEM));
    }
    HikariDataSource pool = new HikariDataSource(config);
    for (int held = 0; held < Integer.parseInt(arguments[2]); held++) {
      hold(pool);
    }
    for (int each = 0; each < Integer.parseInt(arguments[3]); each++) {
      new Thread(() -> waitFor(pool)).start();
    }
    Thread.currentThread().join();
  }

  private static OtlpConfig pushingTo(String url) {
    return new OtlpConfig() {
      @Override
      public String get(String key) {
        return null;
      }

      @Override
      public String url() {
        return url;
      }

      @Override
      public Duration step() {
        return Duration.ofSeconds(1);
      }
    };
  }

  /** Take a connection and keep it. On a busy machine, opening one may take longer than 500 ms. */
  private static void hold(HikariDataSource pool) {
    while (true) {
      try {
        pool.getConnection();
        return;
      } catch (SQLException slow) {
        // The next attempt gets the connection that the pool has opened since.
      }
    }
  }

  private static void waitFor(HikariDataSource pool) {
    while (true) {
      try (Connection connection = pool.getConnection()) {
        connection.isValid(1);
      } catch (SQLException full) {
        // The pool is full: that is what this program is for.
      }
    }
  }
}
