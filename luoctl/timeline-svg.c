/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "output.h"
#include "timeline.h"

/* A row for each step and each unit, time from left to right */

#define MARGIN 20
#define PLOT_WIDTH 1000
#define LABEL_WIDTH 420 /* of what is written behind a bar that ends at the right */
#define TOP 70
#define ROW_HEIGHT 20

struct plot {
        uint64_t end; /* of what is shown */
        size_t row;
};

/* Valid in XML, whatever it was: there is no way to write most control characters. */
static void print_escaped(const char *text) {
        size_t left = strlen(text);

        while (left > 0) {
                uint32_t code_point = 0;
                size_t length;

                length = utf8_decode(text, left, &code_point);
                if (length == 0 || code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0) ||
                        code_point == 0xfffe || code_point == 0xffff)
                        fputs("&#xfffd;", stdout);
                else if (strchr("<>&\"'", (int) (code_point < 0x80 ? code_point : 'x')))
                        printf("&#%" PRIu32 ";", code_point);
                else
                        (void) fwrite(text, 1, length, stdout);
                text += length > 0 ? length : 1;
                left -= length > 0 ? length : 1;
        }
}

static double x_of(const struct plot *plot, uint64_t time) {
        return MARGIN + PLOT_WIDTH * ((double) (time < plot->end ? time : plot->end) / (double) plot->end);
}

static double y_of(const struct plot *plot) {
        return TOP + (double) plot->row * ROW_HEIGHT;
}

/* At least a line; nothing, if either end is not known */
static void print_bar(const struct plot *plot, const char *class, uint64_t from, uint64_t to) {
        if (from == TIME_UNKNOWN || to == TIME_UNKNOWN)
                return;
        printf("<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\"/>\n", class,
                x_of(plot, from), y_of(plot) + 2,
                to > from && x_of(plot, to) - x_of(plot, from) > 1 ? x_of(plot, to) - x_of(plot, from) : 1.0,
                ROW_HEIGHT - 4);
}

static void print_label(const struct plot *plot, uint64_t at, const char *text, uint64_t duration) {
        printf("<text x=\"%.1f\" y=\"%.1f\">", x_of(plot, at) + 4, y_of(plot) + ROW_HEIGHT - 6);
        print_escaped(text);
        if (duration != TIME_UNKNOWN)
                printf(" (%.3f s)", (double) duration / 1e6);
        printf("</text>\n");
}

/* Lines at most 20, at whole seconds or parts of them */
static void print_axis(const struct plot *plot, double height) {
        static const unsigned factors[] = { 2, 5, 10 };
        uint64_t power = 10000, step = power;

        for (size_t i = 0; plot->end / step > 20; i++) {
                step = power * factors[i % 3];
                if (i % 3 == 2)
                        power *= 10;
        }
        for (uint64_t time = 0; time <= plot->end; time += step)
                printf("<line class=\"axis\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%.1f\"/>"
                       "<text class=\"axis\" x=\"%.1f\" y=\"%d\">%g s</text>\n",
                        x_of(plot, time), TOP, x_of(plot, time), height - MARGIN, x_of(plot, time), TOP - 6,
                        (double) time / 1e6);
}

static void print_unit(struct plot *plot, const struct timeline *t, const struct timeline_unit *unit) {
        const uint64_t *times = unit->times;
        uint64_t from, to, duration = TIME_UNKNOWN, at = TIME_UNKNOWN;

        if (timeline_away(t, unit, &from, &to)) {
                print_bar(plot, "away", from, to == TIME_UNKNOWN ? plot->end : to);
                if (to != TIME_UNKNOWN)
                        duration = to > from ? to - from : 0;
        }
        print_bar(plot, "stop", times[EVENT_STOPPING], times[EVENT_STOPPED]);
        print_bar(plot, "start",
                times[EVENT_STARTING] != TIME_UNKNOWN ? times[EVENT_STARTING] : times[EVENT_STARTED],
                times[EVENT_STARTED]);
        for (size_t i = 0; i < EVENTS && at == TIME_UNKNOWN; i++)
                at = times[i];
        print_bar(plot, "set-up", unit->forked, unit->handed_over);
        print_label(plot, at, unit->name, duration);
        plot->row++;
}

void timeline_print_svg(
        const struct timeline *t, struct timeline_unit *const *units, size_t n_units, const char *title) {
        struct plot plot = { .end = 1 };
        uint64_t from, to;
        size_t n_rows = n_units + 1;
        double height;

        for (size_t i = 0; i < STEPS; i++)
                if (t->steps[i] != TIME_UNKNOWN) {
                        n_rows++;
                        if (t->steps[i] > plot.end)
                                plot.end = t->steps[i];
                }
        for (size_t i = 0; i < n_units; i++)
                for (size_t k = 0; k < EVENTS; k++)
                        if (units[i]->times[k] != TIME_UNKNOWN && units[i]->times[k] > plot.end)
                                plot.end = units[i]->times[k];

        height = TOP + (double) n_rows * ROW_HEIGHT + MARGIN;
        printf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
               "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\">\n"
               "<style>\n"
               "text { font: 12px sans-serif; fill: #222 }\n"
               "text.axis { font-size: 10px; fill: #666; text-anchor: middle }\n"
               "line.axis { stroke: #ddd }\n"
               "rect.paper { fill: #fff }\n"
               "rect.blackout { fill: #000; opacity: 0.12 }\n"
               "rect.step { fill: #8fb4d9 }\n"
               "rect.away { fill: #f6cfc9 }\n"
               "rect.stop { fill: #d9705f }\n"
               "rect.start { fill: #6fb07f }\n"
               "rect.set-up { fill: #2f7a45 }\n"
               "</style>\n"
               "<rect class=\"paper\" width=\"100%%\" height=\"100%%\"/>\n",
                2 * MARGIN + PLOT_WIDTH + LABEL_WIDTH, height);
        printf("<text x=\"%d\" y=\"24\">", MARGIN);
        print_escaped(title);
        printf("</text>\n<text x=\"%d\" y=\"42\">Red: stops, green: starts, dark green: takes its state, "
               "pale red: away, grey: no service is up."
               "</text>\n",
                MARGIN);
        print_axis(&plot, height);

        for (size_t i = 0; i < STEPS; i++) {
                uint64_t duration;

                if (t->steps[i] == TIME_UNKNOWN)
                        continue;
                duration = timeline_step_duration(t, i);
                if (duration != TIME_UNKNOWN)
                        print_bar(&plot, "step", t->steps[i], t->steps[i] + duration);
                print_label(&plot, t->steps[i], timeline_step_text(i), duration);
                plot.row++;
        }
        plot.row++;
        for (size_t i = 0; i < n_units; i++)
                print_unit(&plot, t, units[i]);

        if (timeline_blackout(t, &from, &to) && to > from)
                printf("<rect class=\"blackout\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%.1f\"/>\n",
                        x_of(&plot, from), TOP, x_of(&plot, to) - x_of(&plot, from), height - TOP - MARGIN);
        printf("</svg>\n");
}
