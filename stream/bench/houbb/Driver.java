import com.github.houbb.sensitive.word.api.IWordDeny;
import com.github.houbb.sensitive.word.bs.SensitiveWordBs;
import com.github.houbb.sensitive.word.support.ignore.SensitiveWordCharIgnores;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Runs sensitive-word over lines of a file, a round for each line on standard input.
 *
 * Arguments: lines, terms, forms (files, one a line). Commands: "plain" and "all" time one round over the
 * lines with its own word list and answer "nanoseconds matches"; "forms" answers in how many of the forms
 * something of the terms is found, with all conversions on, then the numbers of those lines.
 */
public final class Driver {
    private static SensitiveWordBs engine(boolean all) {
        SensitiveWordBs engine = SensitiveWordBs.newInstance()
            .ignoreCase(all).ignoreWidth(all).ignoreNumStyle(all).ignoreChineseStyle(all)
            .ignoreEnglishStyle(all).ignoreRepeat(all)
            .enableWordCheck(true).enableNumCheck(false).enableEmailCheck(false)
            .enableUrlCheck(false).enableIpv4Check(false);
        return all ? engine.charIgnore(SensitiveWordCharIgnores.specialChars()) : engine;
    }

    private static String round(SensitiveWordBs engine, List<String> lines) {
        long matches = 0;
        long begun = System.nanoTime();
        for (String line : lines) {
            matches += engine.findAll(line).size();
        }
        return (System.nanoTime() - begun) + " " + matches;
    }

    public static void main(String[] arguments) throws Exception {
        List<String> lines = Files.readAllLines(Path.of(arguments[0]), StandardCharsets.UTF_8);
        List<String> terms = Files.readAllLines(Path.of(arguments[1]), StandardCharsets.UTF_8);
        List<String> forms = Files.readAllLines(Path.of(arguments[2]), StandardCharsets.UTF_8);
        SensitiveWordBs plain = engine(false).init();
        SensitiveWordBs all = engine(true).init();
        IWordDeny deny = () -> terms;
        SensitiveWordBs few = engine(true).wordDeny(deny).init();
        System.out.println("ready");
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String command = commands.readLine(); command != null; command = commands.readLine()) {
            switch (command) {
                case "plain" -> System.out.println(round(plain, lines));
                case "all" -> System.out.println(round(all, lines));
                default -> {
                    StringBuilder found = new StringBuilder();
                    for (int at = 0; at < forms.size(); at++) {
                        if (!few.findAll(forms.get(at)).isEmpty()) {
                            found.append(at).append(' ');
                        }
                    }
                    System.out.println(found);
                }
            }
        }
    }
}
